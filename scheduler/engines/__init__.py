"""What runs tasks: real processes on this machine, a simulated fleet, Slurm."""
