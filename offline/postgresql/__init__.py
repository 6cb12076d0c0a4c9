"""The provider `postgresql`: tokens and behaviour of pulumi-postgresql 3.18.2 for what a site needs, on psycopg."""
