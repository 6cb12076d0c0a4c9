"""The policy pack "no single point of failure", for any program that uses pulumi-vsphere."""
