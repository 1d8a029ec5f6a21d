"""Training the joint model, the checks before it, and forecasts to compare with."""
