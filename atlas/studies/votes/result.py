"""What the features of Mixed_7c add to the logits of classes.

The classifier is linear, so a logit is its bias plus one summand for each feature: weight × mean activation, the
feature's vote. Nothing is left out and nothing is approximated.
"""

from dataclasses import dataclass

from atlas.inception.layers import FC, LAYERS
from atlas.inception.targets import Term
from atlas.plan.config import Config
from atlas.plan.jobs import Job, layer_jobs
from atlas.store.results import Results, ResultSpec
from atlas.studies.votes.settings import Settings

VOTERS = LAYERS[-1].name  # the layer whose features vote
COPIES = 8  # of a class's rendering, moved and scaled
Tie = tuple[int, float]  # a feature or a class, and a vote or a weight
Ties = tuple[Tie, ...]  # the largest magnitude first


@dataclass(frozen=True)
class ClassVotes:
    """How the network comes to the logit of a class, in the class's own rendering."""

    logit: float
    bias: float
    votes_for: Ties  # the largest above 0
    votes_against: Ties  # and below
    voters: int  # features whose vote is not 0
    seen: Ties  # the classes that the network finds most probable, and their probabilities
    held: int  # copies of `COPIES` in which the class is still the most probable


@dataclass(frozen=True)
class FeatureVotes:
    """For which classes a feature votes: the weights, by which its mean activation is multiplied."""

    votes_for: Ties
    votes_against: Ties


@dataclass(frozen=True)
class Votes:
    """The votes for all planned classes that were raised, by number."""

    classes: dict[int, ClassVotes]


@dataclass(frozen=True)
class Weighed:
    """The votes of the planned features of Mixed_7c, by number."""

    features: dict[int, FeatureVotes]


def class_jobs(config: Config) -> tuple[Job, ...]:
    """The renderings of classes; none if no votes are wanted."""
    return layer_jobs(config, FC) if config.study(Settings).strongest else ()


def voters(results: Results) -> tuple[Term, ...]:
    """The features of Mixed_7c with the largest votes for each class, so that they have pages."""
    config = results.config
    count = config.study(Settings).voters if VOTERS in config.layers else 0
    # one class rendered anew must not take pages away: what was measured before names them until it is measured again
    found = results.read_old(VOTES) if count and config.classes else None
    known = (tie for one in found.classes.values() for tie in one.votes_for[:count]) if found else ()
    features = range(LAYERS[-1].features)
    return tuple(Term(VOTERS, number) for number, _ in known if number in features)


def _of_classes(config: Config) -> tuple[object, ...]:
    """How many votes, for which classes; none if they are not wanted, or there are no classes."""
    strongest = config.study(Settings).strongest
    return (strongest, config.classes, config.features_of(FC)) if strongest and config.classes else ()


def _of_features(config: Config) -> tuple[object, ...]:
    """The same, and of which features."""
    wanted = _of_classes(config)
    return (*wanted, config.features_of(VOTERS)) if wanted else ()


VOTES = ResultSpec("votes", 1, Votes, class_jobs, _of_classes, needs_all=False)
WEIGHED = ResultSpec("weighed", 1, Weighed, lambda _: (), _of_features)
