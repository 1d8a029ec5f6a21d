"""The joint model of brain tokens and text: forward passes, losses, trainable state."""
