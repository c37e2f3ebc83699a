"""Words that tell what an English sentence is about: those it leans on others with, vague ones, and verbs."""

from __future__ import annotations

# What a sentence begins with that leans on the one before it.
LEANS = (
    "it this that these those he she they we i you there here his her its their such both each another other "
    "either neither however but and or so then thus therefore also moreover furthermore instead otherwise finally "
    "next yet still if when while what which who where how why for as because although"
)
LEANING = frozenset(LEANS.split())
# What no thing's name begins with.
OPENS = (
    "in on at by from with without of to under over after before during since until unless once note please see "
    "not no only even just like unlike despite per via now today currently usually often sometimes generally "
    "typically one some most many all none nothing everything everyone someone something anything any every "
    "several few two three four five first second third last same following above below more less rather again "
    "your our my let make use do does did is are was were be been being has have had can could may might must "
    "shall should will would don't doesn't isn't aren't"
)
# What tells nothing by itself: neither a thing, nor what it does or is like. "Not" and its like tell much.
SMALL_ONES = (
    "a an the and or of to in on at by for from with as into onto upon over under about after before between through "
    "during is are was were be been being do does did can could may might will would shall should must has have had "
    "it its this that these those he she they them their his her him we us our you your i me my who whom whose which "
    "what when where why how if than then there here so such also very just only now several many some various certain "
    "because while since until s t"
)
FUNCTION = frozenset(SMALL_ONES.split())
PLACES = (
    "about across after against along among around behind beside besides between beyond despite except given inside "
    "near outside through throughout toward towards underneath upon within according depending"
)
NO_SUBJECT = LEANING | frozenset(PLACES.split()) | frozenset(OPENS.split())
# Heads of names that say nothing: which one, of what?
SAYS_NOTHING = (
    "result reason problem issue idea goal point question answer case difference example thing way rest other one "
    "fact purpose aim advantage disadvantage drawback downside trick catch alternative solution exception rule "
    "latter former simplest easiest best worst main whole entire change section chapter document page paragraph "
    "text next previous first second third last things ways points reasons problems results examples notes cases "
    "options times issues changes lot number following above below same"
)
VAGUE = frozenset(SAYS_NOTHING.split())
# What a step, or a heading above steps, begins with.
ACTS = (
    "add apply build change check choose clone close commit compile configure connect copy create delete deploy "
    "disable download edit enable enter export fetch fill find fix generate get go import init install keep load "
    "log make merge move name open pick press publish pull push put read release remove rename replace report "
    "reset restart restore save select send set start stop switch tag test train turn type uninstall update "
    "upgrade upload use verify wait write"
)
ACTIONS = frozenset(ACTS.split())
# Verbs with an object that add an s in the third person.
REGULAR = (
    "accept allow answer append calculate call cause check clear collect compare compute connect contain "
    "control convert count cover create decide define delete describe deliver determine disable display enable "
    "execute expect extend fill find generate give handle hold ignore imply include indicate keep leave "
    "limit list load mean measure need obtain offer perform pick prevent print produce protect provide raise "
    "read receive record reduce refuse remove render replace report represent require reserve restore return "
    "save search select send serve set show specify store support take tell trigger use verify "
    "warn write yield"
)
IRREGULAR = {
    "applies": "apply",
    "carries": "carry",
    "consists of": "consist of",
    "copies": "copy",
    "defaults to": "default to",
    "depends on": "depend on",
    "fetches": "fetch",
    "has": "have",
    "matches": "match",
    "modifies": "modify",
    "processes": "process",
    "reaches": "reach",
    "refers to": "refer to",
    "specifies": "specify",
    "stands for": "stand for",
    "verifies": "verify",
}
BASES = {**{f"{base}s": base for base in REGULAR.split()}, **IRREGULAR}  # by the third person
