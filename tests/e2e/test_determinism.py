# SPDX-License-Identifier: GPL-3.0-or-later
"""Equal input gives equal output, to the byte: whatever the speed, the blocks and the threads do."""
import pytest
import uw


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two receivers that hear one link, with different rates, formats and clocks."""
    directory = tmp_path_factory.mktemp("site")
    uw.synth(directory, uw.elrs(duration=2.5, receivers=[
        uw.receiver("north"), uw.receiver("south", rate=2.0e6, freq=915.2e6, fmt="ci8", ppm=-9.0)]),
        "site")
    return ["north=%s" % (directory / "site-north.sigmf-meta"),
            "south=%s" % (directory / "site-south.sigmf-meta")]


@pytest.fixture(scope="module")
def output(site):
    first = uw.body(uw.run("replay", "--json", "--run", "r", *site).stdout)
    assert len(first.splitlines()) > 10 and uw.raised(uw.parse(first))
    return first


def again(site, *options):
    return uw.body(uw.run("replay", "--json", "--run", "r", *options, *site).stdout)


def test_ten_runs(site, output):
    for _ in range(9):
        assert again(site) == output


def test_the_comparison_can_fail(site, output):
    """Other input makes other output, or equality would mean nothing."""
    assert again(site[:1]) != output


def test_real_time(site, output):
    assert again(site, "--realtime") == output


@pytest.mark.parametrize("block", [1009, 4096, 65537, 1000003])
def test_blocks(site, output, block):
    assert again(site, "--block", block) == output


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_delayed_threads(site, output, seed):
    assert again(site, "--delay-seed", seed) == output


def test_odd_blocks_and_delays_and_feed(site, output, tmp_path):
    feed = "--feed=ipc://%s" % (tmp_path / "feed")
    assert again(site, "--block", 30011, "--delay-seed", 77, feed) == output


def test_random_runs_differ_only_in_their_name(site, output):
    messages, _ = uw.replay(*site)
    run = messages[0]["run"]
    fixed = uw.parse(output)
    assert run != "r" and len(messages) == len(fixed)
    assert [m["time"] for m in messages] == [m["time"] for m in fixed]
