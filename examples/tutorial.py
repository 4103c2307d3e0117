# %% [markdown]
# # Eight ways to look at one decision
#
# A network looks at the photo of a cat and says *tiger cat*. Why? There are eight classic answers, and each is a
# picture. This notebook goes through them one after another: what is computed, what there is to see on this photo,
# and how the picture misleads. At the end they are tested against each other.
#
# You need `pip install seewhy` and the folder `photos/` that lies beside this notebook. Nothing is downloaded: the
# network, EfficientNet-Lite0 trained on ImageNet's 1,000 classes, comes with the package. All of it runs in about
# half a minute on two CPU cores.

# %%
import copy

import torch
from PIL import Image

import seewhy
from seewhy.methods import CAM, Occlusion
from seewhy.pictures import tiled

SIZE = (448, 448)


def beside(*pictures):
    """Pictures side by side."""
    return tiled([picture.resize(SIZE) for picture in pictures])


clf = seewhy.load("efficientnet_lite0")
photo = Image.open("photos/chelsea.png")
for entry in clf.predict(photo).top:
    print(entry)

photo

# %% [markdown]
# The network is torn between two kinds of cat. It did not see the whole photo, either: it was shown the middle, 224 ×
# 224 pixels, without the ears. Whatever follows can only be about that crop, so look at it first.
#
# `seewhy.explain` runs all methods on one shared forward. All of them explain a **score** $y$: the network's output
# for one class *before* the softmax.

# %%
ids = ["saliency", "occlusion", "deconvnet", "guided_backprop", "cam", "grad_cam", "guided_grad_cam"]
e = seewhy.explain(photo, clf, methods=ids)
tiger_cat = e.targets[0].target.index
x = clf.preprocess(photo)  # (1, 3, 224, 224): the crop as the network reads it, for what we compute by hand
print(e)

e.photo.crop

# %% [markdown]
# ## 1 · Saliency
# **What it is.** Which pixels move the score when they change a little? Backpropagate the score to the pixels. Only
# the magnitude matters, so it is squared; of the three colours the largest counts.
#
# $$ S(i, j) = \max_c \left(\frac{\partial y}{\partial x_{c,i,j}}\right)^2 $$
#
# **What to see here.** Specks on the eyes, the bridge of the nose and the muzzle; and a patch at the right edge,
# where the cheek ends and the background begins.
#
# **How it misleads.** It shows where the score is *sensitive*, not what it *rests on*: where the network is
# saturated, what matters most can be dark. Its speckle is real, and is the network's, not the cat's.
#
# *Simonyan, Vedaldi, Zisserman 2013, [Deep inside convolutional networks](https://arxiv.org/abs/1312.6034), section
# 3.*

# %%
with seewhy.record(clf, x, target=tiger_cat) as record:
    by_hand = record.gradient("input").square().amax(1, keepdim=True)
assert torch.equal(by_hand, e.views["saliency"].attribution.values)

beside(e.photo.crop, e.to_image("saliency", size=SIZE))

# %% [markdown]
# ## 2 · Occlusion
# **What it is.** Hide a window, ask again. The only one of the eight that looks at no gradient: it is an experiment.
#
# $$ O(i, j) = \operatorname{mean}_{m \ni (i, j)} \big[ y(x) - y(x \text{ with window } m \text{ hidden}) \big] $$
#
# **What to see here.** On the left the window is filled with the mean colour. Orange: hiding it lowers the score, so
# it spoke *for* tiger cat; most of all the cheek below the eye on the left. Blue: hiding it *raises* the score, so it
# spoke against: the nose, and the eye on the right.
#
# **How it misleads.** A hidden window is itself a thing that the network has never seen, and part of a drop may be
# the patch's own doing. So try another filling: on the right, the window is blurred instead. The eye and the nose
# stay blue. The orange of the cheek is nearly gone: it was about the grey patch as much as about the cheek.
#
# *Zeiler, Fergus 2014, [Visualizing and understanding convolutional networks](https://arxiv.org/abs/1311.2901),
# section
# 4.2.*

# %%
blurred = seewhy.explain(photo, clf, methods=[Occlusion(baseline="blur")])

beside(e.to_image("occlusion", size=SIZE), blurred.to_image("occlusion", size=SIZE))

# %% [markdown]
# ## 3 · Deconvnet
# **What it is.** The gradient again, with another rule at each ReLU. The usual rule stops the gradient $R$ where the
# *forward* was negative. Deconvnet ignores the forward and stops it where it is negative *itself*:
#
# $$ R^l = [R^{l+1} > 0] \, R^{l+1} $$
#
# **What to see here.** A grid. It is the trace of the network's strides, and covers the background as well as the
# cat.
#
# **How it misleads.** Without max pooling to remember positions, little of it is about this photo, and almost nothing
# about this class: it reconstructs what strides and filters let through.
#
# *Zeiler, Fergus 2014, section 2.1; [Nie, Zhang, Patel 2018](https://arxiv.org/abs/1805.07039) for why it misleads.*

# %%
beside(e.to_image("saliency", size=SIZE), e.to_image("deconvnet", size=SIZE))

# %% [markdown]
# ## 4 · Guided backprop
# **What it is.** Both masks at once: pass only what was positive forward *and* is positive backward.
#
# $$ R^l = [h^l > 0] \; [R^{l+1} > 0] \; R^{l+1} $$
#
# **What to see here.** The crispest drawing of all: the rims of the eyes, the pupils, the nose.
#
# **How it misleads.** It is so clear that one wants to believe it. But ask about a *teapot*, which is not in the
# photo: nearly the same drawing comes out. It draws edges, not reasons. The last section tests this.
#
# *Springenberg, Dosovitskiy, Brox, Riedmiller 2015, [Striving for simplicity](https://arxiv.org/abs/1412.6806),
# section
# 3.4.*

# %%
teapot = seewhy.explain(photo, clf, methods=["guided_backprop"], targets="teapot")

beside(e.to_image("guided_backprop", size=SIZE), teapot.to_image("guided_backprop", size=SIZE))

# %% [markdown]
# ## 5 · CAM, class activation mapping
# **What it is.** Many networks end with maps $f_k$, their means, and one linear layer $w^c$. Then the score is a sum
# over places, and the summands are a map:
#
# $$ M_c(i, j) = \sum_k w_k^c \, f_k(i, j), \qquad \operatorname{mean}_{i,j} M_c = y_c - b_c $$
#
# The second equation makes it an account that must balance. seewhy checks it in every run, and refuses networks in
# which it cannot hold.
#
# **What to see here.** 7 × 7 places, all of them for tiger cat; most of all the cheek below the eye on the left.
#
# **How it misleads.** It is exact about the *last maps*. But each of their 49 places has seen most of the crop, so
# the evidence need not lie under the spot that is coloured.
#
# *Zhou, Khosla, Lapedriza, Oliva, Torralba 2016, [Learning deep features for discriminative
# localization](https://arxiv.org/abs/1512.04150), eq. 2.*

# %%
cam = e.views["cam"].attribution
bias = clf.model.classifier.bias[tiger_cat]
print(f"mean of the map {cam.values.mean():.4f} = score - bias {cam.score.item() - bias:.4f}")

beside(e.photo.crop, e.to_image("cam", size=SIZE))

# %% [markdown]
# ## 6 · Grad-CAM
# **What it is.** CAM for any CNN and any layer: instead of the linear layer's weights take the mean gradient of each
# map. What is negative is cut off.
#
# $$ \alpha_k = \operatorname{mean}_{i,j} \frac{\partial y}{\partial A^k_{i,j}}, \qquad
# L = \operatorname{ReLU}\Big(\sum_k \alpha_k A^k\Big) $$
#
# **What to see here.** On the left, the last layer: the same map as CAM's, divided by 49, because this network is one
# that CAM fits. On the right, a layer in the middle of the network: finer, and something else.
#
# **How it misleads.** The gradient's mean over space forgets *where* the gradient came from. At the last layer
# nothing is lost; before it, a place may light up that the class does not use. And evidence against the class is cut
# off.
#
# *Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra 2017, [Grad-CAM](https://arxiv.org/abs/1610.02391), eqs. 1-2.*

# %%
with seewhy.record(clf, x, target=tiger_cat) as record:  # the default layer: the last spatial one
    A, gradient = record.activation(), record.gradient()
alpha = gradient.mean((2, 3), keepdim=True)
by_hand = (alpha * A).sum(1, keepdim=True).relu()
assert torch.allclose(by_hand, e.views["grad_cam"].attribution.values, atol=1e-5)
assert torch.allclose(by_hand, cam.values.relu() / 49, atol=1e-5)
middle = seewhy.explain(photo, clf, methods=[seewhy.methods.GradCAM(layer="blocks.10")])

beside(e.to_image("grad_cam", size=SIZE), middle.to_image("grad_cam", size=SIZE))

# %% [markdown]
# ## 7 · Guided Grad-CAM
# **What it is.** Grad-CAM says where, coarsely. Guided backprop draws finely, but everywhere. So multiply them:
#
# $$ G = \operatorname{upsample}(L) \cdot R^0 $$
#
# **What to see here.** Guided backprop's drawing, now faded where Grad-CAM is low: around the eye on the right.
#
# **How it misleads.** The place is Grad-CAM's and can be trusted as far as that can. The fine lines are still the
# edge detector's.
#
# *Selvaraju et al. 2017, section 3.3.*

# %%
beside(e.to_image("guided_backprop", size=SIZE), e.to_image("guided_grad_cam", size=SIZE))

# %% [markdown]
# ## 8 · Class visualization
# **What it is.** Not about the photo at all. Which image would the network call a tiger cat *most of all*? Start from
# grey, and climb:
#
# $$ I^* = \arg\max_I \; f(I) - \lambda \lVert I \rVert_2^2 $$
#
# **What to see here.** On the left exactly that: noise, of which the network is more than 99.9 % certain. On the
# right the image has to hold while it is turned, cropped, blurred and recoloured, and while the network itself is
# shaken a little. Now there is striped orange fur, and not by any means *this* cat.
#
# **How it misleads.** It shows what raises the score, not what the class looks like to us, and with enough freedom it
# finds patterns that no photo has. The noise on the left is no failure of the method: it is something true about the
# network.
#
# *Simonyan et al. 2013, section 2, eq. 1; [Olah, Mordvintsev, Schubert
# 2017](https://distill.pub/2017/feature-visualization/) for the right one.*

# %%
plain = seewhy.visualize(clf, "tiger cat", preset="simonyan", steps=48)
robust = seewhy.visualize(clf, "tiger cat", steps=80, attempts=1)
for made in (plain, robust):
    print(made)

beside(plain.to_image(), robust.to_image())

# %% [markdown]
# ## Which to believe?
# CAM and Grad-CAM say *the cheek*; occlusion says so with one filling and not with the other; guided backprop draws
# whatever has edges. Two questions help.
#
# ### Does it answer the question that was asked?
# "Why tiger cat?" is mostly answered by "because it is a cat". What the network really had to decide was tiger cat or
# **Egyptian cat**: 39 % to 36 %. So explain the *difference* of the two scores. All that speaks for both cancels.
#
# CAM (left) has both signs now, as it must where two scores are nearly equal; and the cheek, which made the first
# map, is hardly an argument: it speaks for either cat. The eye on the right speaks for the Egyptian one. Occlusion
# (right) finds what speaks for the tiger cat: a band from the eye over the bridge of the nose to the lower right.

# %%
rather = seewhy.explain(
    photo, clf, methods=[CAM(), Occlusion()], targets="tiger cat", versus="Egyptian cat", shared_scale=False
)
why = rather.targets[1]
print(f"{why.name}: {why.target.score:.2f} - {why.against.score:.2f} = {why.score:.2f}")

beside(rather.to_image("cam", target=1, size=SIZE), rather.to_image("occlusion", target=1, size=SIZE))

# %% [markdown]
# ### Does it notice when the network is broken?
# Shuffle the weights of the upper layers. The network now knows nothing about cats, and whatever explains its
# *decisions* has to change ([Adebayo et al. 2018](https://arxiv.org/abs/1810.03292)).
#
# Above, the trained network; below, the broken one. Grad-CAM (left) changes beyond recognition. Guided backprop
# (right) does not notice: its rank correlation with the picture before stays near 1. A picture that is the same with
# and without the knowledge cannot be a picture *of* the knowledge.

# %%
net = copy.deepcopy(clf.model)
torch.manual_seed(0)
with torch.no_grad():
    for part in (*net.blocks[12:], net.head, net.classifier):
        for layer in part.modules():
            if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
                layer.weight.copy_(layer.weight.flatten()[torch.randperm(layer.weight.numel())].view_as(layer.weight))
broken = seewhy.classifier(net, labels=clf.labels, transform=clf.preprocess, mean=clf.mean, std=clf.std)
now = seewhy.explain(photo, broken, methods=["grad_cam", "guided_backprop"], targets=tiger_cat)


def ranks(values):
    """Where each value stands among all: 0, 1, 2, ..."""
    return values.flatten().argsort().argsort().double()


for name in ("grad_cam", "guided_backprop"):
    before, after = (ranks(each.views[name].attribution.values) for each in (e, now))
    print(f"{name:16s} rank correlation {torch.corrcoef(torch.stack([before, after]))[0, 1]:+.2f}")

tiled([each.to_image(name, size=SIZE) for each in (e, now) for name in ("grad_cam", "guided_backprop")])

# %% [markdown]
# ## What to take home
# 1. **Look at the crop first**: no method can show what the network was not shown.
# 2. **Ask for a difference.** "Why this rather than that" is a question; "why this" is half of one.
# 3. **Test what you see.** A map is a claim, and hiding the place is the experiment; do it with two fillings.
# 4. **Break the network.** What does not change then was never about what it has learned.
# 5. **Crisp is not right.** The two prettiest pictures here, guided backprop and its product, say least.
#
# All of it on one sheet, as `seewhy explain photos/chelsea.png` draws it, with the scale of each map and how it
# misleads in the report beside it:

# %%
e.figure()
