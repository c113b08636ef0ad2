"""What REST does not tell of a comment: whether somebody edited it."""

from railyard.forge.rest import Answer, Call


def comment_node(call: Call) -> Answer:
    """Answer a query for one comment of any repository, by its node id."""
    number = str(call.body["variables"]["id"]).removeprefix("IC_")
    rows = (repo["comments"].get(number) for repo in call.forge.state["repos"].values())
    row = next(filter(None, rows), None)
    return {"data": {"node": row and {"lastEditedAt": row.get("edited_at")}}}
