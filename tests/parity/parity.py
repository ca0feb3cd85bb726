"""The parity fixtures: what they hold and how logits are compared with them.

A fixture holds, for the P positions of a prompt and its greedy answer (but the answer's last token, after which the
reference predicts nothing):
  prompt, answer     token ids
  top_ids            uint16 [P, 64], the tokens with the largest logits, largest first
  top_below          uint16 [P, 64], how far each is below the largest, in steps of 1/1024
  log_largest        float32 [P], the log-probability of the first
  log_rest           float32 [P], the log-probability of all but the 64 together
  margins            float32 [P], the first logit less the second
  full_positions     positions of which the whole row is there, as
  full_below         uint16 [F, vocabulary], in the same steps

The divergence computed from them is KL(reference || ours) over 65 events: the 64 tokens, and all others together. By
the log-sum inequality that is a lower bound of the divergence over the vocabulary; at the full positions both are
computed, so that the gap shows. Of logits compared with their own fixture it is about 2e-8: the steps of 1/1024.
"""
import dataclasses

import numpy as np

TOP = 64
STEPS = 1024.0
MARGIN = 0.05  # where the reference's two best logits are closer than this, either may win


@dataclasses.dataclass
class Fixture:
    prompt: np.ndarray
    answer: np.ndarray
    top_ids: np.ndarray
    log_events: np.ndarray  # [P, 65], log-probabilities of top_ids and of the rest
    margins: np.ndarray  # between the two best logits, by position
    full_positions: np.ndarray
    log_full: np.ndarray  # log-probabilities at full_positions

    def forced_tokens(self):
        """What to feed for logits at every position."""
        return np.concatenate([self.prompt, self.answer[:-1]]).tolist()

    def first(self, count):
        """The same up to position `count`; None where the prompt alone is longer."""
        answered = min(count + 1 - len(self.prompt), len(self.answer))
        if answered < 1:
            return None
        kept = self.full_positions < count
        return Fixture(prompt=self.prompt, answer=self.answer[:answered], top_ids=self.top_ids[:count],
                       log_events=self.log_events[:count], margins=self.margins[:count],
                       full_positions=self.full_positions[kept], log_full=self.log_full[kept])


def below_largest(logits):
    steps = np.rint((logits.max(axis=-1, keepdims=True) - logits) * STEPS)
    if steps.max(initial=0) > 65535:
        raise ValueError(f"a logit lies {steps.max() / STEPS} below the largest, more than uint16 can say")
    return steps.astype(np.uint16)


def log_sum_exp(logits):
    largest = logits.max(axis=-1, keepdims=True)
    return (largest + np.log(np.exp(logits - largest).sum(axis=-1, keepdims=True)))[..., 0]


def write(path, prompt, answer, logits, full_positions):
    logits = logits.astype(np.float64)
    order = np.argsort(-logits, axis=1, kind="stable")
    sorted_logits = np.take_along_axis(logits, order, axis=1)
    log_sum = log_sum_exp(logits)
    np.savez_compressed(
        path, prompt=np.array(prompt, np.int32), answer=np.array(answer, np.int32),
        top_ids=order[:, :TOP].astype(np.uint16), top_below=below_largest(sorted_logits[:, :TOP]),
        log_largest=(sorted_logits[:, 0] - log_sum).astype(np.float32),
        log_rest=(log_sum_exp(sorted_logits[:, TOP:]) - log_sum).astype(np.float32),
        margins=(sorted_logits[:, 0] - sorted_logits[:, 1]).astype(np.float32),
        full_positions=np.array(full_positions, np.int32), full_below=below_largest(logits[full_positions]))


def normalised(log_probabilities):
    """The steps leave sums a little off one, which would count as divergence in the first order."""
    return log_probabilities - log_sum_exp(log_probabilities)[:, None]


def read(path):
    with np.load(path) as file:
        largest = file["log_largest"].astype(np.float64)[:, None]
        log_rest = file["log_rest"].astype(np.float64)[:, None]
        positions = file["full_positions"]
        return Fixture(prompt=file["prompt"], answer=file["answer"], top_ids=file["top_ids"].astype(np.int64),
                       log_events=normalised(np.hstack([largest - file["top_below"] / STEPS, log_rest])),
                       margins=file["margins"], full_positions=positions,
                       log_full=normalised(largest[positions] - file["full_below"] / STEPS))


def divergence(fixture, logits):
    """KL(reference || ours) by position over the 65 events, and over the vocabulary at the full positions."""
    ours = logits.astype(np.float64)
    ours -= log_sum_exp(ours)[:, None]
    top = np.take_along_axis(ours, fixture.top_ids, axis=1)
    in_top = np.zeros(ours.shape, bool)
    np.put_along_axis(in_top, fixture.top_ids, True, axis=1)
    rest = log_sum_exp(np.where(in_top, -np.inf, ours))[:, None]
    bound = (np.exp(fixture.log_events) * (fixture.log_events - np.hstack([top, rest]))).sum(axis=1)
    full = (np.exp(fixture.log_full) * (fixture.log_full - ours[fixture.full_positions])).sum(axis=1)
    return bound, full


def wrong_best(fixture, logits):
    """The positions whose best token is not the reference's although that led by more than MARGIN."""
    clear = fixture.margins > MARGIN
    return np.flatnonzero(clear & (logits.argmax(axis=1) != fixture.top_ids[:, 0])).tolist()
