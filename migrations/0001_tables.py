"""Sources, spectra, runs and the results of the distance pipeline."""

from peewee import (
    SQL,
    BigAutoField,
    BigIntegerField,
    BooleanField,
    DateTimeField,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    Model,
    PostgresqlDatabase,
    TextField,
)


def models(db):
    """The five tables of this version, bound to ``db``, in an order in which they can be created."""
    sqlite, postgresql = "(strftime('%Y-%m-%d %H:%M:%f000', 'now'))", "(timezone('utc', clock_timestamp()))"
    now = SQL(f"DEFAULT {postgresql if isinstance(db, PostgresqlDatabase) else sqlite}")

    class Base(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Source(Base):
        pk = BigAutoField()
        sdss_id = BigIntegerField(null=True, unique=True)
        sdss4_apogee_id = TextField(null=True, unique=True)
        gaia_dr3_source_id = BigIntegerField(null=True, index=True)
        healpix = IntegerField(null=True)
        ra = DoubleField(null=True)
        dec = DoubleField(null=True)
        l = DoubleField(null=True)  # noqa: E741
        b = DoubleField(null=True)
        j_mag = DoubleField(null=True)
        e_j_mag = DoubleField(null=True)
        h_mag = DoubleField(null=True)
        e_h_mag = DoubleField(null=True)
        k_mag = DoubleField(null=True)
        e_k_mag = DoubleField(null=True)
        ph_qual = TextField(null=True)
        cc_flg = TextField(null=True)
        ebv = DoubleField(null=True)
        e_ebv = DoubleField(null=True)
        ebv_flags = BigIntegerField(constraints=[SQL("DEFAULT 0")])
        ebv_origin = TextField(null=True)
        gaia_release = TextField(null=True)
        plx = DoubleField(null=True)
        e_plx = DoubleField(null=True)
        pmra = DoubleField(null=True)
        e_pmra = DoubleField(null=True)
        pmde = DoubleField(null=True)
        e_pmde = DoubleField(null=True)
        g_mag = DoubleField(null=True)
        bp_mag = DoubleField(null=True)
        rp_mag = DoubleField(null=True)
        ruwe = DoubleField(null=True)
        nu_eff_used_in_astrometry = DoubleField(null=True)
        pseudocolour = DoubleField(null=True)
        astrometric_params_solved = IntegerField(null=True)
        origins = TextField(null=True)
        created = DateTimeField(constraints=[now])
        modified = DateTimeField(constraints=[now])

    class Spectrum(Base):
        pk = BigAutoField()

    class ApogeeCoaddedSpectrumInApStar(Base):
        pk = BigAutoField()
        source = ForeignKeyField(Source, null=True, column_name="source_pk")
        spectrum_pk = ForeignKeyField(
            Spectrum, unique=True, column_name="spectrum_pk", object_id_name="spectrum_id"
        )
        product_id = TextField(unique=True)
        release = TextField()
        filetype = TextField()
        apred = TextField()
        apstar = TextField()
        obj = TextField(index=True)
        telescope = TextField()
        healpix = IntegerField(null=True)
        field = TextField(index=True)
        prefix = TextField()
        reduction = TextField()
        commissioning = BooleanField()
        path = TextField(null=True)
        pixels_digest = TextField(null=True)
        n_visits = IntegerField(null=True)
        snr = DoubleField(null=True)
        spectrum_flags = BigIntegerField()
        v_rad = DoubleField(null=True)
        e_v_rad = DoubleField(null=True)
        created = DateTimeField(constraints=[now])
        modified = DateTimeField(constraints=[now])

        class Meta:
            table_name = "apogee_coadded_spectrum_in_apstar"

    class TaskRun(Base):
        pk = BigAutoField()
        task = TextField(index=True)
        version = TextField()
        v_astra_major_minor = IntegerField()
        weights_name = TextField(null=True)
        weights_sha256 = TextField(null=True)
        seed = BigIntegerField(null=True)
        n_draws = IntegerField(null=True)
        precision = TextField(null=True)
        arguments = TextField(null=True)
        host = TextField()
        pid = IntegerField()
        started = DateTimeField(constraints=[now])
        finished = DateTimeField(null=True)
        processed = IntegerField(constraints=[SQL("DEFAULT 0")])
        measured = IntegerField(constraints=[SQL("DEFAULT 0")])
        rederived = IntegerField(constraints=[SQL("DEFAULT 0")])
        no_result = IntegerField(constraints=[SQL("DEFAULT 0")])
        outcome = TextField(null=True)

    class AstroNNdist(Base):
        task_pk = BigAutoField()
        source_pk = ForeignKeyField(Source, null=True, column_name="source_pk", object_id_name="source_id")
        spectrum_pk = ForeignKeyField(
            Spectrum, column_name="spectrum_pk", object_id_name="spectrum_id", index=False
        )
        run_pk = ForeignKeyField(TaskRun, null=True, column_name="run_pk", object_id_name="run_id")
        v_astra = IntegerField()
        v_astra_major_minor = BigIntegerField(
            null=True, constraints=[SQL("GENERATED ALWAYS AS (v_astra / 1000) STORED")]
        )
        created = DateTimeField(constraints=[now])
        modified = DateTimeField(constraints=[now])
        inputs_read = DateTimeField(null=True)
        t_elapsed = DoubleField(null=True)
        t_overhead = DoubleField(null=True)
        tag = TextField(null=True)
        k_mag = DoubleField(null=True)
        ebv = DoubleField(null=True)
        a_k_mag = DoubleField(null=True)
        l_fakemag = DoubleField(null=True)
        e_l_fakemag = DoubleField(null=True)
        e_model_l_fakemag = DoubleField(null=True)
        dist = DoubleField(null=True)
        e_dist = DoubleField(null=True)
        e_model_dist = DoubleField(null=True)
        result_flags = BigIntegerField(constraints=[SQL("DEFAULT 0")])
        no_result_reason = TextField(null=True)

        class Meta:
            table_name = "astro_nn_dist"
            indexes = ((("spectrum_pk", "v_astra_major_minor"), True),)

    return Source, Spectrum, ApogeeCoaddedSpectrumInApStar, TaskRun, AstroNNdist


def up(migrator, db):
    """Create the tables."""
    db.create_tables(models(db), safe=False)


def down(migrator, db):
    """Drop the tables, but only empty ones: there is no way back from this."""
    tables = models(db)
    for model in tables:
        if rows := model.select().count():
            raise ValueError(
                f"table {model._meta.table_name} holds {rows} rows; drop it by hand if you mean it"
            )
    db.drop_tables(tables, safe=False)
