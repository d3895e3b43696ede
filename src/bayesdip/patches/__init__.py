"""Restoration by groups of similar patches of the picture itself, each group a Gaussian.

- Noise: NL-Bayes (Lebrun, Buades, Morel 2013), on several scales (Facciolo, Pierazzo, Morel 2017).
- Missing pixels: PLE and HBE (Yu, Sapiro, Mallat 2012; Aguerrebere, Almansa, Delon, Gousseau, Muse 2017).
- Blurred and downsampled pictures: iterative denoising and back-projection (Tirer, Giryes 2019).
- Data of any other linear operator: plug-and-play ADMM (Venkatakrishnan, Bouman, Wohlberg 2013).

::

    from bayesdip.patches.inference import patch_posterior     # pixels, noisy or missing
    from bayesdip.patches.back_projection import project       # blurred, downsampled
    from bayesdip.patches.plug_and_play import plug_and_play    # any linear operator
"""
