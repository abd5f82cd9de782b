"""The simulator: the production core and controller under a virtual clock, with everything around them pretended.

One seed gives one run: engine, log, clients, monitors, faults and restarts. `script.py` says what is done to the
scheduler, `world.py` carries it out, `checks/` judge every step, `shrink.py` makes a failure short. Nothing here is
needed to serve; all of it can be imported to test an engine, a store or a rule of your own.
"""
