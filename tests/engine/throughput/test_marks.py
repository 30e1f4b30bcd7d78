"""What lies between marks: on the host's clock, and on that of a device that lags behind."""

import pytest

from mmdssl.engine.throughput.marks import Clock, HostClock, StepMarks


class Device(Clock):
    """A device with a queue: work handed over at a time of the host is done later.

    A mark is passed when all work before it is done, and not before it is made.
    """

    def __init__(self) -> None:
        self.host = 0.0  # the host's time
        self.busy_until = 0.0
        self.reached: list[float] = []

    def work(self, seconds: float) -> None:
        """Hand over work; the host goes on at once."""
        self.busy_until = max(self.busy_until, self.host) + seconds

    def mark(self) -> float:
        self.busy_until = max(self.busy_until, self.host)
        return self.busy_until

    def seconds(self, start: float, stop: float) -> float:
        return stop - start

    def reach(self, mark: float) -> None:
        self.reached.append(mark)
        self.host = max(self.host, mark)


def run(device, marks, steps, *, load, step):
    """So many steps: the host waits ``load`` seconds for each batch and hands ``step`` over."""
    for _ in range(steps):
        device.host += load
        marks.begin()
        device.work(step)
        marks.end()
    device.host += load
    marks.begin()


def test_a_device_that_is_still_computing_waits_for_no_data():
    device = Device()
    marks = StepMarks(device)
    run(device, marks, 10, load=0.3, step=1.0)  # the host waits 0.3 s a step; the device never
    pace = marks.report()
    assert pace.steps == 10
    assert pace.seconds == pytest.approx(1.0)
    assert pace.share == pytest.approx(0.0)


def test_a_device_that_is_faster_than_the_loader_waits_for_the_difference():
    device = Device()
    marks = StepMarks(device)
    run(device, marks, 10, load=1.0, step=0.25)
    pace = marks.report()
    assert pace.seconds == pytest.approx(1.0)
    assert pace.waiting == pytest.approx(0.75)
    assert pace.share == pytest.approx(0.75)


def test_the_device_is_waited_for_once_a_report():
    device = Device()
    marks = StepMarks(device)
    run(device, marks, 10, load=0.0, step=1.0)
    assert device.reached == []
    marks.report()
    assert len(device.reached) == 1


@pytest.mark.parametrize('between', [False, True], ids=['before the end', 'between epochs'])
def test_an_evaluation_is_neither_training_nor_waiting(between):
    device = Device()
    marks = StepMarks(device)
    for index in range(4):
        device.host += 0.5
        marks.begin()
        device.work(1.0)
        if index == 1 and not between:
            with marks.paused():
                device.work(100.0)
                device.host = device.busy_until  # results are read
        marks.end()
        if index == 1 and between:
            with marks.paused():
                device.work(100.0)
                device.host = device.busy_until
    device.host += 0.5
    marks.begin()
    pace = marks.report()
    # Behind the evaluation the device is idle, and waits the whole 0.5 s for the next batch.
    assert pace.seconds * pace.steps == pytest.approx(4 * 1.0 + 0.5)
    assert pace.waiting * pace.steps == pytest.approx(0.5)


def test_each_report_tells_of_the_steps_since_the_last():
    device = Device()
    marks = StepMarks(device)
    run(device, marks, 3, load=0.0, step=1.0)
    assert marks.report().seconds == pytest.approx(1.0)
    assert marks.report() is None
    device.work(1.0)
    marks.end()
    run(device, marks, 1, load=0.0, step=3.0)
    assert marks.report().seconds == pytest.approx((1.0 + 3.0) / 2)


def test_nothing_is_known_of_the_first_step_before_the_second():
    marks = StepMarks(HostClock())
    assert marks.report() is None
    marks.begin()
    marks.end()
    assert marks.report() is None
