"""The part of a server that drives sweeps, as a program: ``dispatching.py ADDRESS``."""

import logging
import sys
import time

from service.dispatch.jobs import RayJobs
from service.dispatch.reconciler import Reconciler
from service.home import Home
from service.ledger import Ledger

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    ledger = Ledger(Home.from_environment().ledger_url)
    with Reconciler(ledger, RayJobs(sys.argv[1]), max_sweeps=3, interval_s=0.5):
        while True:
            time.sleep(3600)
