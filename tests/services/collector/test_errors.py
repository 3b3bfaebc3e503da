import gc
import weakref

from services.collector.errors import free_frames


class Message:
    pass


def test_a_handled_error_keeps_nothing_of_its_frames_even_in_a_cycle():
    messages = []

    def publish():
        message = Message()
        messages.append(weakref.ref(message))
        seen = []
        try:
            try:
                raise ValueError
            except ValueError as error:
                seen.append(error)
                raise RuntimeError from error
        except RuntimeError as error:
            seen.append(error)
            raise

    gc.disable()
    try:
        try:
            publish()
        except RuntimeError as error:
            assert messages[0]() is not None
            free_frames(error)
        assert messages[0]() is None
    finally:
        gc.enable()
