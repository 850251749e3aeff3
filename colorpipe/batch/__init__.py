"""Many inputs: threads, devices, journal, locks on outputs, one outcome for each. Imports everything below ``cli``."""
