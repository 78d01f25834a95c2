"""How gunicorn serves Kontor: `gunicorn "app:create_app()"` reads this file, and so does run.py."""

import gc
import os

bind = f"{os.environ.get('KONTOR_HOST') or '127.0.0.1'}:{os.environ.get('PORT') or 8080}"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
threads = 4
preload_app = False  # each worker opens its own database connections

timeout = 60  # a worker that gives no sign of life for so long is replaced
graceful_timeout = 10  # what is being answered when Kontor stops may take so long to finish
keepalive = 5

# Workers show that they live by touching a file; in memory, so that a slow disk cannot make them look dead.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None

accesslog = "-" if os.environ.get("ACCESS_LOG") else None
loglevel = "warning"
control_socket_disable = True


def post_worker_init(_worker):
    """All is loaded: never look through that for garbage again, for 0.2 s in the midst of one request in thirty.

    What requests leave behind is looked through some pages at a time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
