"""The written formats that the torch packages share; importing its modules loads no torch."""
