"""For type checkers: the names that `__init__.py` loads at first use."""

from .api import explain as explain
from .api import optimize as optimize
from .api import verify as verify
from .engine import OptimizedModule as OptimizedModule
from .models import create_model as create_model
from .models import list_models as list_models
from .models import model_config as model_config
from .plan import Plan as Plan
from .saved import load as load
from .saved import save as save
from .tasks.bottom_up import BottomUpPoseEstimator as BottomUpPoseEstimator
from .tasks.classification import Classifier as Classifier
from .tasks.detection import Detector as Detector
from .tasks.images import read_image as read_image
from .tasks.landmark import LandmarkEstimator as LandmarkEstimator
from .tasks.pose import PoseEstimator as PoseEstimator
from .tasks.segmentation import Segmenter as Segmenter
from .weights import load_weights as load_weights
from .weights import save_weights as save_weights

__version__: str
