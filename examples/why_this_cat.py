# %% [markdown]
# # Why does the network call this a tiger cat?
# A walk through the eight views, in the order in which one doubts. Runs as a script, or cell by cell in an editor
# that knows `# %%`. It prints numbers and writes its pictures into `seewhy-out/`.

# %%
from pathlib import Path

from PIL import Image

import seewhy
from seewhy.methods import GradCAM, Occlusion

HERE = Path(__file__).parent
out = Path("seewhy-out")
out.mkdir(exist_ok=True)

clf = seewhy.load("efficientnet_lite0")
photo = Image.open(HERE / "photos" / "chelsea.png")
x = clf.preprocess(photo)

# %% [markdown]
# One forward tells what was predicted; the record keeps what the methods will ask for.

# %%
with seewhy.record(clf, x) as record:
    probability = record.logits.softmax(1)[0]
    for index in probability.topk(3).indices.tolist():
        print(f"{probability[index]:6.1%}  {clf.label(index)}")

# %% [markdown]
# All attributions at once: one forward, three backwards, and occlusion's own forwards.

# %%
many = seewhy.attribute(
    clf, x, ["saliency", "deconvnet", "guided_backprop", "cam", "grad_cam", "guided_grad_cam", "occlusion"]
)
for name, a in many.items():
    print(f"{name:16s} {tuple(a.values.shape)!s:20s} from {a.values.min():+.3g} to {a.values.max():+.3g}")

# %% [markdown]
# CAM is an accounting identity: its mean over space is the logit without its bias. If this does not hold, do not
# look at the picture.

# %%
bias = clf.model.get_submodule("classifier").bias[many["cam"].target]
print(f"mean of CAM {many['cam'].values.mean():.4f} = logit - bias {(many['cam'].score - bias).item():.4f}")

# %% [markdown]
# Why not the runner-up? Ask for another target, and look where the two maps differ.

# %%
tiger, egyptian = (
    seewhy.attribute(clf, x, GradCAM(relu=False), clf.index(name)) for name in ("tiger cat", "Egyptian cat")
)
difference = (tiger.values - egyptian.values)[0, 0]
row, column = divmod(int(difference.argmax()), difference.shape[1])
print(f"the strongest argument for tiger cat over Egyptian cat is at row {row}, column {column} of 7 x 7")

# %% [markdown]
# Does hiding that place change anything? A map is a claim; occlusion tests it.

# %%
hide = seewhy.attribute(clf, x, Occlusion(window=32, stride=32, baseline="blur"), clf.index("tiger cat"))
drop = hide.values[0, 0, row * 32 + 16, column * 32 + 16].item()
print(f"hidden, the score of {hide.score.item():.2f} {'falls' if drop > 0 else 'rises'} by {abs(drop):.2f}")

# %% [markdown]
# The image that "tiger cat" is to this network, by the plain gradient ascent of Simonyan 2013.

# %%
v = seewhy.visualize(clf, clf.index("tiger cat"), steps=64)
print(f"score {v.history[0, 0]:.1f} before, {v.score[0]:.1f} after 64 steps")
pixels = (v.images[0].permute(1, 2, 0).numpy() * 255).astype("uint8")
Image.fromarray(pixels).save(out / "tiger-cat-to-the-network.png")
many["grad_cam"].save(out / "grad_cam.npz", overwrite=True)
