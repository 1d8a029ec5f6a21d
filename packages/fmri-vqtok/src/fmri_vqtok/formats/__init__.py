"""The written formats that the torch packages share; importing it loads no torch."""
