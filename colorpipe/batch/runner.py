"""Jobs -> outcomes: many inputs through one session, reading, predicting and writing at the same time.

``threads`` does it on this machine, ``cluster`` on many. A run that is stopped, or killed, is taken up by the next one:
pictures that are done are skipped, films go on after their last whole segment.
"""

from __future__ import annotations

from colorpipe.batch.bag import close_bag
from colorpipe.batch.calibration import examples
from colorpipe.batch.context import RunContext
from colorpipe.batch.jobs import Jobs
from colorpipe.batch.memory import spare_memory
from colorpipe.batch.preparation import prepare, refuse_several, session_for
from colorpipe.batch.remote_store import is_remote
from colorpipe.batch.request import Listener, NullListener, RunRequest
from colorpipe.batch.threads import Threads
from colorpipe.media.inputs import Plan
from colorpipe.media.passed import Passed
from colorpipe.media.several import several
from colorpipe.plugins.host import PluginHost
from colorpipe.types import Outcome


def run(request: RunRequest, host: PluginHost, listener: Listener | None = None) -> list[Outcome]:
    """Colorize every input and tell each one's fate, in the order of the inputs.

    Raises:
        ColorpipeError: nothing was started: an input that is not there, an output that cannot be written to, an unknown
            plugin, weights that are missing.
        KeyboardInterrupt: after everything that was half done has been cleaned away. Whole segments of films stay in a
            hidden folder, and the next call goes on after them.
    """
    listener = listener or NullListener()
    if is_remote(request):
        from colorpipe.batch.remote import run_remote

        refuse_several(request, host, "a URL")
        return run_remote(request, host, listener)
    jobs, passed = prepare(request)
    if not jobs:  # a shard of few inputs
        listener.passed_over(passed)
        listener.started(0)
        outcomes = []
    elif request.cluster is not None:
        from colorpipe.batch.cluster.driver import run_on_cluster

        refuse_several(request, host, "--cluster")
        listener.passed_over(passed)
        outcomes = run_on_cluster(request, host, listener, jobs)
    else:
        outcomes = run_jobs(request, host, jobs, listener, passed)
    if request.bag:
        close_bag(request.root)
    return outcomes


def run_jobs(
    request: RunRequest, host: PluginHost, jobs: Jobs, listener: Listener, passed: Passed | None = None
) -> list[Outcome]:
    """``run`` on this machine, for jobs that are planned already.

    Args:
        passed: For the listener, once the session stands.

    Raises:
        ColorpipeError, KeyboardInterrupt: as ``run``.
    """
    spare_memory(jobs.films > 0)
    session = session_for(request, host)
    # a part of a plan, as a page saves it, has its places already: one result for each
    planned = several(jobs, session.results) if isinstance(jobs, Plan) else jobs
    if request.recipe.precision == "int8":
        session.calibrate(examples(planned, session.media), request.int8_limit)
    if request.save_recipe is not None:
        request.save_recipe(session.pinned().to_json() + "\n")
    if passed is not None:
        listener.passed_over(passed)
    return Threads(RunContext(request, session, planned, listener), planned).go()
