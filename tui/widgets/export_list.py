"""The forms that a run can be exported in, each with the variant at hand, and the exports that were made."""

from __future__ import annotations

from textual.binding import Binding
from textual.content import Content
from textual.widgets.option_list import Option

from gemmalocal.files.sizes import size
from gemmalocal.workspace import exports as forms
from gemmalocal.workspace.exports import Contents, Export, Offer
from tui.theme import state, told
from tui.widgets.marks import mark
from tui.widgets.options import Options

NAME, LABEL, BYTES = 13, 26, 9  # cells
HEADING = "Other variants that were made"


class ExportList(Options):
    """Handed forms and exports by `show`; the cursor stays where it is while they change."""

    HELP = "**Enter** exports in the form under the cursor, **← →** choose its variant. Below: what was made."

    BINDINGS = [
        Binding("enter", "select", "Export"),
        Binding("left", "variant(-1)", "Variant", key_display="← →"),
        Binding("right", "variant(1)", "Variant", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._offers: list[Offer] = []
        self._every: list[Export] = []
        self._exports: list[Export] = []  # those that are not told with their form
        self._chosen: dict[str, int] = {}  # by a form's name: which of its variants
        self._sizes: Contents | None = None

    @property
    def offer(self) -> Offer | None:
        """The form under the cursor, its variant at hand first; None on an export."""
        at = self.highlighted
        if at is None or at >= len(self._offers):
            return None
        offer = self._offers[at]
        variant = self._variant(offer)
        return Offer(offer.words, (*offer.forms[variant:], *offer.forms[:variant]))

    @property
    def export(self) -> Export | None:
        """The export under the cursor; None on a form."""
        at = self.highlighted
        place = -1 if at is None else at - len(self._offers) - 1  # a heading is between
        return self._exports[place] if 0 <= place < len(self._exports) else None

    def show(self, offers: list[Offer], exports: list[Export], sizes: Contents | None) -> None:
        """Draw these; `sizes` are those of the run's parts, None where they are not known."""
        highlighted = self.highlighted_option
        self._offers, self._every, self._sizes = offers, exports, sizes
        lines = [(offer.name, self._form_line(offer)) for offer in offers]
        options = [Option(line, id=name) for name, line in lines]
        shown = {offer.forms[self._variant(offer)].label for offer in offers}
        self._exports = [export for export in exports if export.label not in shown]  # each once
        if self._exports:
            options.append(Option(Content.styled(f"\n{HEADING}", "bold $secondary"), id="heading", disabled=True))
        options += [Option(export_line(export), id=export.label + "/") for export in self._exports]
        if [option.id for option in options] == [option.id for option in self.options]:
            for option in options:
                self.replace_option_prompt(str(option.id), option.prompt)
            return
        self.clear_options()
        self.add_options(options)
        ids = [option.id for option in options]
        self.highlighted = ids.index(highlighted.id) if highlighted and highlighted.id in ids else 0

    def _variant(self, offer: Offer) -> int:
        """The place of the variant at hand: the one that was chosen, else the first that was made, else the first."""
        made = {export.label for export in self._every}
        first = next((place for place, form in enumerate(offer.forms) if form.label in made), 0)
        return self._chosen.get(offer.name, first)

    def _form_line(self, offer: Offer) -> Content:
        form = offer.forms[self._variant(offer)]
        variant = f"‹ {form.detail} ›" if len(offer.forms) > 1 else ""
        export = next((export for export in self._every if export.label == form.label), None)
        about = f"~{size(forms.size(form, self._sizes))}" if self._sizes else ""
        return Content.assemble(
            (f"{offer.name:<{NAME}}", "bold"), f"{variant:<{LABEL - NAME}}", about.rjust(BYTES), "  ", standing(export)
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is exported is a form, of a run that has made something."""
        if action == "select":
            return self.offer is not None and self._sizes is not None
        return self.offer is not None if action == "variant" else True

    def action_variant(self, by: int) -> None:
        """Another variant of the form under the cursor."""
        if (offer := self.offer) is not None:
            count = len(offer.forms)
            self._chosen[offer.name] = (self._variant(self._offers[self.highlighted or 0]) + by) % count
            self.show(self._offers, self._every, self._sizes)
            assert self.highlighted is not None
            self.post_message(self.OptionHighlighted(self, self.options[self.highlighted], self.highlighted))


def export_line(export: Export) -> Content:
    """Label, bytes and standing of an export."""
    on_disk = size(export.bytes) if export.proof else ""
    return Content.assemble(f"{export.label:<{LABEL}}", on_disk.rjust(BYTES), "  ", standing(export))


def standing(export: Export | None) -> Content:
    """How an export stands, in a few words."""
    if export is None:
        return Content("")
    if export.live:
        progress = export.state.progress
        share = f" {100 * progress.done // max(1, progress.total)} %" if progress else ""
        return Content.styled(f"{mark('live')} {progress.what if progress else 'running'}{share}", state("live").style)
    if export.proof is None:
        status = export.state.status
        status = "failed" if status == "done" and export.trouble is not None else status  # not whole
        return told(status)
    kept = export.proof["kept"]
    share = "" if kept is None else f"kept {100 * kept:.1f} %"
    if not export.proof["passed"]:
        return Content.styled(f"{mark('failed')} FAILED {share}", state("failed").style)
    return Content.styled(f"{mark('done')} {share or 'passed'}", state("done").style)
