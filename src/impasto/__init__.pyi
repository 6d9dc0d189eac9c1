from . import errors as errors
from . import presets as presets
from . import terms as terms
from .errors import DeviceError as DeviceError
from .errors import DivergedError as DivergedError
from .errors import ImpastoError as ImpastoError
from .errors import OutputError as OutputError
from .errors import PictureError as PictureError
from .errors import RecipeError as RecipeError
from .errors import UsageError as UsageError
from .errors import WeightsError as WeightsError
from .events import Event as Event
from .events import Finished as Finished
from .events import ScaleStarted as ScaleStarted
from .events import Started as Started
from .events import Stepped as Stepped
from .job import Job as Job
from .job import loss as loss
from .job import reconstruct as reconstruct
from .job import stylize as stylize
from .job import texture as texture
from .picture import Picture as Picture
from .recipe import LBFGS as LBFGS
from .recipe import Adam as Adam
from .recipe import Recipe as Recipe
from .run import Run as Run

__version__: str
