"""One NVIDIA GPU: programs timed beside a peer and the card's own rates, or read from their HLO."""
