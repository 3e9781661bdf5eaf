"""What every test stands on."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples in every run, so that a red run can be repeated; ``HYPOTHESIS_PROFILE=explore make test`` looks
# for new ones. No deadline: how long an example takes on a busy machine says nothing.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
