import pytest

from service.deaths import out_of_memory

# Ray 2.60's own message, its middle left out.
RAYS = """\
1 worker(s) were killed due to the node running low on memory. Memory on the node \
(IP: 10.0.0.7, ID: 3ad6b331ef7eb2b28f7408caef87) was 4.70GB used / 23.54GB limit (0.199650)
OOM kill reason: Memory usage 5041012736B exceeded threshold of 5004750848B
Refer to the documentation on how to address the out of memory issue: https://docs.ray.io/
"""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (RAYS, "memory ran out on 10.0.0.7: 4.70GB used / 23.54GB limit"),
        ("Task was killed due to the node running low on memory.", "memory ran out on its machine"),
    ],
)
def test_where_memory_ran_out_is_told_in_one_line(said: str, told: str) -> None:
    assert out_of_memory(said) == told
