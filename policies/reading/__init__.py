"""What resources mean: switches, tiers, files on servers. Rules ask here, so that each fact is read in one place."""
