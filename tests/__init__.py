from tests.threads import share_cores

share_cores()
