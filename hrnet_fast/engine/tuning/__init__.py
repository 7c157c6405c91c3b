"""What was measured on a machine, kept from run to run, for the executors of every device."""
