"""The names of keys in Redis."""

from redis_bridge import keys


def test_a_slot_is_known_by_its_key_and_nothing_else_is() -> None:
    slot = keys.Slot("image_queue_yolov5", "0123456789ab", 17)
    assert keys.slot_from_key(slot.key) == slot
    for key in ("image_queue_yolov5", "q:inflight:short:1", "q:inflight:0123456789ab:x", keys.BRIDGES):
        assert keys.slot_from_key(key) is None
