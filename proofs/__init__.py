"""Proofs: attacks on each promise of the store and of delivery, until one breaks or the numbers are large enough."""
