"""Why does the network call this a tiger cat rather than an Egyptian cat? Asked, and tested by hiding the answer.

Prints numbers, and writes what ``seewhy.Explanation.load`` reads into ``why-this-cat/``.
"""

from pathlib import Path

import seewhy
from seewhy.methods import CAM, Occlusion

photo = Path(__file__).parent / "photos" / "chelsea.png"
session = seewhy.Session("efficientnet_lite0")  # owns the network; the next photo is faster
print(session.predict(photo))

# All methods and both targets share one forward.
e = session.explain(photo, [CAM(), Occlusion(window=32, stride=32)], "tiger cat", versus="Egyptian cat")
rather = e.targets[1]
print(f"{rather.name}: {rather.target.score:.2f} - {rather.against.score:.2f} = {rather.score:.2f}")

# A map is a claim: these places, 7 x 7, say tiger cat rather than Egyptian cat.
cam = rather.views["cam"].attribution.values[0, 0]
row, column = divmod(int(cam.argmax()), cam.shape[1])
print(f"CAM's strongest argument is at row {row}, column {column} of {cam.shape[0]} x {cam.shape[1]}")

# Hiding the place is the experiment: the same 7 x 7 places, hidden one by one.
drops = rather.views["occlusion"].attribution.values[0, 0, 16::32, 16::32]
place = int((drops > drops[row, column]).sum()) + 1
print(f"hidden, the difference falls by {drops[row, column]:.2f}: place {place} of {drops.numel()}")

e.save("why-this-cat", overwrite=True)
e.to_image("cam", photo, target="tiger cat rather than Egyptian cat").save("why-this-cat/cam-on-the-photo.png")
