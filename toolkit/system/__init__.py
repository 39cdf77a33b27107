"""Files written whole, signals, the processes of torchrun, the console, and what a process computes with."""
