"""Which features feed which, by the folded weights."""
