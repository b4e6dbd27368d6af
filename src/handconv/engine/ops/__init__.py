"""The ops of a program, by what is fused: each is the quick form of one layer's page, or of several."""
