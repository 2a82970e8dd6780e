"""spark-submit "$(pomona spark-job)" INPUT OUTPUT [MODE [PCA_COMPONENTS]] [options of pomona run]"""

import sys

from pomona.spark_run import main

if __name__ == "__main__":
    sys.exit(main())
