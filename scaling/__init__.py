"""The scaling policy, and the simulation of a pool that follows it: pure functions of the contract's types."""
