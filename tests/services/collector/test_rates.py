from services.collector.rates import TokenBucket


class Clock:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


def test_a_seconds_worth_goes_through_at_once_and_then_the_rate():
    clock = Clock()
    bucket = TokenBucket(8, clock)
    assert [bucket.take(1) for _ in range(10)] == [0] * 8 + [1, 1]
    clock.seconds += 0.125
    assert [bucket.take(1), bucket.take(1)] == [0, 1]
    clock.seconds += 3600
    assert [bucket.take(1) for _ in range(9)] == [0] * 8 + [1]


def test_a_batch_larger_than_a_seconds_worth_goes_through_and_is_paid_back():
    clock = Clock()
    bucket = TokenBucket(8, clock)
    assert bucket.take(80) == 0
    assert bucket.take(1) == 10  # 72 are owed and one is asked for: 9.125 seconds
    clock.seconds += 9.0
    assert bucket.take(1) == 1
    clock.seconds += 0.125
    assert bucket.take(1) == 0


def test_what_was_refused_does_not_count():
    clock = Clock()
    bucket = TokenBucket(1, clock)
    assert bucket.take(1) == 0
    assert [bucket.take(1) for _ in range(100)] == [1] * 100
    clock.seconds += 1
    assert bucket.take(1) == 0


def test_less_than_one_event_per_second():
    clock = Clock()
    bucket = TokenBucket(0.1, clock)
    assert [bucket.take(1), bucket.take(1)] == [0, 10]


def test_over_a_long_time_the_rate_holds():
    clock = Clock()
    bucket = TokenBucket(50, clock)
    taken = 0
    for _ in range(10_000):
        clock.seconds += 0.005
        taken += bucket.take(1) == 0
    assert 2500 <= taken <= 2551
