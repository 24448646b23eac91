"""The proofs: each promise of the store and of delivery, attacked until it breaks or the numbers are large enough."""
