"""Lines of progress."""

from transferlaws.progress import Progress


def test_a_line_says_how_much_is_done_how_fast_and_what_is_left():
    with Progress("pretrain", 2000, unit="tokens") as progress:
        progress.resume(500)
        progress.start -= 10
        progress.update(500, "loss 3.2")
        assert progress.line() == "[pretrain]  50% 1k/2k tokens, 50 tokens/s, 0:20 left, loss 3.2"


def test_where_the_total_is_unknown_no_share_and_no_time_left_are_claimed():
    with Progress("corpus", 0, unit="item") as progress:
        progress.start -= 10
        progress.update(500)
        assert progress.line() == "[corpus] 500 item, 50 item/s"
