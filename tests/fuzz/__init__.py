"""Random histories, run by stock Django and by chronomig, and compared after every migration."""

from tests.inprocess import set_up_django

set_up_django()
