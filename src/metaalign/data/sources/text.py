"""Small things that adapters do with texts."""


def filled(template: str, **words: str) -> str:
    """``template`` with each ``{name}`` replaced once; braces in the words stay as they are."""
    pieces = [template]
    for name, text in words.items():
        for at in range(0, len(pieces), 2):
            before, found, after = pieces[at].partition(f"{{{name}}}")
            if found:
                pieces[at : at + 1] = [before, text, after]
                break
    return "".join(pieces)
