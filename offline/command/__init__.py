"""The provider `command`: tokens and behaviour of pulumi-command 1.2.1, on asyncssh."""
