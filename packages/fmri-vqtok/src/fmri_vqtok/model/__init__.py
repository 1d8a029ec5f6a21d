"""The network: attention, transformer, positions, encoder, decoder, pooling."""
