"""What it costs, measured on the machine at hand: `make bench`. docs/performance.md is made of what this prints.

Every figure is taken beside its peers in one run, in interleaved rounds, because absolute ones move with the machine.
"""
