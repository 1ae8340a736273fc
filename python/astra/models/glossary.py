"""The wording of every column: help texts, FITS comments and the documentation all read it here.

A unit stands in brackets at the end of a text, in a form that ``astropy.units`` reads.
"""


class Glossary:
    """One attribute per column name, in the spelling of the models."""

    # > Rows
    pk = "Database primary key"
    created = "When this row was written first (UTC)"
    modified = "When a value of this row last changed (UTC)"

    # > Identifiers
    sdss_id = "SDSS unified identifier of the source"
    sdss4_apogee_id = "APOGEE name of the source in SDSS-III and SDSS-IV"
    gaia_dr3_source_id = "Gaia DR3 source identifier"
    healpix = "HEALPix pixel of the source (nside 128)"
    source = "The source of this spectrum"
    source_pk = "The source of this result"
    spectrum_pk = "The spectrum, unique across all kinds of spectra"
    product_id = (
        "Identity of the data product: filetype/release/apred/telescope/field or healpix/obj/prefix/(c|s), "
        "of mwmStar files mwmstar/release/v_astra/telescope/healpix/sdss_id/apred/s"
    )

    # > Astrometry
    ra = "Right ascension, ICRS [deg]"
    dec = "Declination, ICRS [deg]"
    l = "Galactic longitude [deg]"  # noqa: E741
    b = "Galactic latitude [deg]"
    gaia_release = "Gaia release of the astrometry and photometry, e.g. dr2 or dr3"
    plx = "Gaia parallax, without any zero-point correction [mas]"
    e_plx = "Error on the Gaia parallax [mas]"
    pmra = "Gaia proper motion in right ascension times cos(dec) [mas / yr]"
    e_pmra = "Error on the proper motion in right ascension [mas / yr]"
    pmde = "Gaia proper motion in declination [mas / yr]"
    e_pmde = "Error on the proper motion in declination [mas / yr]"
    ruwe = "Gaia renormalised unit weight error of the astrometric fit"
    nu_eff_used_in_astrometry = "Gaia effective wavenumber of the source used in the astrometric fit [um-1]"
    pseudocolour = "Gaia astrometrically estimated effective wavenumber [um-1]"
    astrometric_params_solved = "Which Gaia astrometric parameters were solved for (bits)"

    # > Distances of Bailer-Jones et al. (2021, AJ 161, 147), for comparison
    r_med_geo = "Geometric distance of Bailer-Jones et al. (2021), from Gaia EDR3: median [pc]"
    r_lo_geo = "16th percentile of the geometric distance of Bailer-Jones et al. (2021) [pc]"
    r_hi_geo = "84th percentile of the geometric distance of Bailer-Jones et al. (2021) [pc]"
    r_med_photogeo = "Photogeometric distance of Bailer-Jones et al. (2021), from Gaia EDR3: median [pc]"
    r_lo_photogeo = "16th percentile of the photogeometric distance of Bailer-Jones et al. (2021) [pc]"
    r_hi_photogeo = "84th percentile of the photogeometric distance of Bailer-Jones et al. (2021) [pc]"

    # > Photometry
    j_mag = "2MASS J-band apparent magnitude [mag]"
    e_j_mag = "Error on the 2MASS J-band magnitude [mag]"
    h_mag = "2MASS H-band apparent magnitude [mag]"
    e_h_mag = "Error on the 2MASS H-band magnitude [mag]"
    k_mag = "2MASS Ks-band apparent magnitude [mag]"
    source_k_mag = "2MASS Ks-band apparent magnitude of the source, absent where there is none [mag]"
    e_k_mag = "Error on the 2MASS Ks-band magnitude [mag]"
    ph_qual = "2MASS photometric quality in J, H and Ks, e.g. AAA"
    cc_flg = "2MASS contamination and confusion flag in J, H and Ks"
    g_mag = "Gaia G-band mean magnitude [mag]"
    bp_mag = "Gaia BP-band mean magnitude [mag]"
    rp_mag = "Gaia RP-band mean magnitude [mag]"

    # > Extinction
    ebv = "Reddening E(B-V) [mag]"
    source_ebv = "Reddening E(B-V) of the source, absent where there is none [mag]"
    e_ebv = "Error on the reddening E(B-V) [mag]"
    ebv_flags = "Where the reddening comes from (bits)"
    ebv_origin = "Where the reddening comes from, in words"

    # > Provenance
    origins = "The names of the values from each catalogue and each data product (JSON)"

    # > Data product
    release = "SDSS data release, e.g. dr17 or sdss5"
    filetype = "Kind of data product: apStar, asStar or mwmStar"
    apred = "Version of the APOGEE reduction"
    apstar = "Version of the APOGEE combination of visits"
    obj = "Object name in the data product"
    telescope = "Telescope: apo25m, lco25m or apo1m"
    field = "Field name"
    prefix = "Prefix of the file name: ap or as"
    reduction = "Name of the object in the reduction, where it differs (apo1m)"
    commissioning = "Whether it was taken with the commissioning instrument"
    path = "Path of the file, relative to SAS_BASE_DIR where it lies under it"
    n_visits = "Number of visits combined"
    snr = "Signal-to-noise ratio per pixel"
    spectrum_flags = "APOGEE STARFLAG (bits)"
    v_rad = "Mean barycentric radial velocity [km / s]"
    e_v_rad = "Error on the mean radial velocity [km / s]"
    pixels_digest = "BLAKE2b digest of the combined flux, error and mask as they were ingested"

    # > Pipeline
    task_pk = "Primary key of this result"
    run_pk = "The run that measured this result"
    v_astra = "Version of Astra: major * 10^6 + minor * 10^3 + patch"
    v_astra_major_minor = "Major and minor version of Astra: v_astra / 1000"
    inputs_read = "When the inputs of this result were about to be read (UTC)"
    source_read = "When the star of this result was about to be read, at first or after a change (UTC)"
    spectrum_modified = "`modified` of the spectrum that this result was made from"
    source_modified = "`modified` of the star that this result was made from, at first or after a change"
    t_elapsed = "Time spent on this spectrum, with its share of what is done for several at once [s]"
    t_overhead = "Its share of the time spent on nothing in particular, e.g. loading the weights [s]"
    tag = "Free label"

    # > Run
    task = "Name of the task"
    version = "Version of Astra"
    weights_name = "Name of the network weights"
    weights_sha256 = "SHA-256 of the network weights"
    weights_origin = (
        "What named the network weights: --weights, a setting, or nothing (the rows so far, or the embedded "
        "default)"
    )
    weights_range = "What the network weights are good for, in the words of their maker"
    seed = "Seed of the dropout masks"
    n_draws = "Number of Monte Carlo dropout draws"
    precision = "Arithmetic of the network"
    options = "Options of the task that change numbers, as JSON; empty in runs from before they were recorded"
    host = "Machine that ran it"
    pid = "Process that ran it"
    arguments = "Arguments of the command line"
    started = "When the run started (UTC)"
    finished = "When the run ended (UTC); empty while it runs, or if it was killed"
    processed = "Spectra that went through the network or failed to"
    measured = "Spectra with a result"
    rederived = "Results that were derived again from changed values of their stars"
    no_result = "Spectra that could not be read or used"
    outcome = "How the run ended: done, stopped or failed; died: killed, which others noticed"

    # > Results of the distance pipeline
    A_k_mag = "Ks-band extinction used: 0.3517 E(B-V) [mag]"
    L_fakemag = "Predicted Ks luminosity 10^(0.2 M_Ks + 2), larger is fainter [mas]"
    e_L_fakemag = "Error on L_fakemag: predictive and model part together [mas]"
    e_model_L_fakemag = "Model part of the error on L_fakemag (Monte Carlo dropout) [mas]"
    dist = "Heliocentric distance [pc]"
    e_dist = "Error on dist from e_L_fakemag alone: it leaves out the errors of Ks and E(B-V) [pc]"
    e_model_dist = "Model part of the error on dist (Monte Carlo dropout) [pc]"
    e_dist_full = "Error on dist with those of Ks and E(B-V): half of dist_hi - dist_lo [pc]"
    dist_lo = "16th percentile of the distance, from the errors of L_fakemag, Ks and E(B-V) [pc]"
    dist_hi = "84th percentile of the distance, from the errors of L_fakemag, Ks and E(B-V) [pc]"
    nn_parallax = "Parallax from the spectrum: L_fakemag 10^(-0.2 (k_mag - A_k_mag)) [mas]"
    e_nn_parallax = "Error on nn_parallax, from the errors of L_fakemag, Ks and E(B-V) [mas]"
    e_model_nn_parallax = "Model part of the error on nn_parallax, from e_model_L_fakemag alone [mas]"
    plx_zero_point = (
        "What the Gaia parallax is too large by (it is negative): of (E)DR3 Lindegren et al. (2021), of DR2 "
        "-0.0523; plx_zero_point_origin says what it is made from [mas]"
    )
    plx_zero_point_origin = (
        "What plx_zero_point is made from: nu_eff or pseudocolour (exact); an estimate by the colour bp_rp, "
        "j_ks or typical_colour; the median (no_g, no_position); or dr2"
    )
    gaia_parallax = "Gaia parallax minus plx_zero_point; where that is absent, as published [mas]"
    e_gaia_parallax = (
        "Error on gaia_parallax: e_plx times the factor by which such errors are too small, and the error of "
        "an estimated plx_zero_point [mas]"
    )
    parallax_pull = (
        "nn_parallax minus gaia_parallax, over both errors in quadrature: positive where the spectrum puts "
        "the star nearer than Gaia does"
    )
    weighted_parallax = (
        "Mean, with weights 1 / error^2, of nn_parallax (not of flag_bad) and gaia_parallax (only where "
        "plx_zero_point is not absent) [mas]"
    )
    e_weighted_parallax = "Error on weighted_parallax [mas]"
    weighted_dist = "Distance 1000 / weighted_parallax, where that is positive [pc]"
    e_weighted_dist = "Error on weighted_dist to first order: weighted_dist e / weighted_parallax [pc]"
    best_dist = (
        "Distance to use: weighted_dist where spectrum and Gaia agree, else that of the usable one; absent "
        "where they contradict each other or neither is usable [pc]"
    )
    best_dist_lo = "16th percentile of the distance to use [pc]"
    best_dist_hi = "84th percentile of the distance to use [pc]"
    best_dist_from = (
        "Which distance best_dist is: spectrum (dist), weighted (weighted_dist), gaia (of it alone)"
    )
    coverage = "Share of the pixels of the network that are finite, not 0 and not masked; absent if unknown"
    coverage_blue = "Share of the pixels of the blue detector that can be used"
    coverage_green = "Share of the pixels of the green detector that can be used"
    coverage_red = "Share of the pixels of the red detector that can be used"
    not_clean = "Why the result is not fit for single stars (bits); absent if it was not looked at"
    not_checked = "What of that could not be looked at, so that a fallback decided (the same bits)"
    result_flags = "Flags describing the result (bits)"
    no_result_reason = "Why there is no result"
