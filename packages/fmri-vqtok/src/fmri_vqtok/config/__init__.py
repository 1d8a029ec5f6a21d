"""Settings of the model, the quantizers and the stages, each default in one place."""
