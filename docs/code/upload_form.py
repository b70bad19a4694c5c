import uuid
from pathlib import Path

from trio_h2.compat import Request, Response

folder = Path("uploads")


async def upload(request: Request, response: Response) -> None:
    form = await request.form(max_size=50 * 1024 * 1024, max_fields=100, max_files=5)
    name = form["name"]
    for file in form.files:
        await file.save(folder / str(uuid.uuid4()))
    await response.send_text(f"thank you, {name}")
