"""Public names of :mod:`astra.models.fields`."""

from astra.models.fields import (
    AutoField as AutoField,
)
from astra.models.fields import (
    BigIntegerField as BigIntegerField,
)
from astra.models.fields import (
    BitField as BitField,
)
from astra.models.fields import (
    BooleanField as BooleanField,
)
from astra.models.fields import (
    DateTimeField as DateTimeField,
)
from astra.models.fields import (
    FloatField as FloatField,
)
from astra.models.fields import (
    ForeignKeyField as ForeignKeyField,
)
from astra.models.fields import (
    GeneratedField as GeneratedField,
)
from astra.models.fields import (
    IntegerField as IntegerField,
)
from astra.models.fields import (
    SmallIntegerField as SmallIntegerField,
)
from astra.models.fields import (
    StampField as StampField,
)
from astra.models.fields import (
    TextField as TextField,
)
