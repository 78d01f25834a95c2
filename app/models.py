"""The schema on one page: every table there is, by chapters in `schema/`, where its rows are told in full.

A chapter says what there is, what may become of it, what one can ask it. No query, no request.

Every table says whom it belongs to (`schema/ownership.py`, decision 2):
`OwnedByAccount` management data, seen from the account and from above · `InsideAccount` seen from the account
alone · `OwnInside` seen by its person alone, acting there · `BetweenAccounts` seen from the two accounts it is
between · `OfCatalogue` the operator's offers, seen from everywhere · `OwnedByUser` seen by its person alone · `Sealed`
never seen from within a scope. By consent of their account, rows are seen by a partner elsewhere in the tree, too:
which, a class says with `opened_by` (decision 0016).
"""

from .schema.common import Archivable, Bilingual, LONGEST_WORDS, in_language, public_id, sort_key, words_of
from .schema.ownership import (
    BetweenAccounts,
    ByConsent,
    Consent,
    InsideAccount,
    OfCatalogue,
    OwnedByAccount,
    OwnedByUser,
    OwnInside,
    Sealed,
)
from .schema.accounts import (
    Account,
    Hold,
    HoldKind,
    Invitation,
    InvitationStatus,
    Kind,
    KontorUser,
    Member,
    Role,
    SEARCHED,
    User,
    new_path,
)
from .schema.properties import ConversionStatus, Property, PropertyType, PropertyValue, SearchedText
from .schema.plans import (
    Beyond,
    Cycle,
    DataLocation,
    Meter,
    Operation,
    PaymentMode,
    Plan,
    PlanPrice,
    Product,
    ProductType,
    RenewalRule,
)
from .schema.catalog import Article, ArticlePrice, Grant, LARGEST_QUANTITY, LARGEST_USE, LicenseType, Policy
from .schema.licenses import Holding, License, LicenseMovement, LicenseStatus, MovementKind, Source
from .schema.saved_views import SavedView
from .schema.relationships import EndedBy, LinkRequest, Relationship, RelationshipStatus
from .schema.subscriptions import (
    Calculation,
    MOST_USERS,
    ResourceGroup,
    Subscription,
    SubscriptionStatus,
    SuspensionCause,
    UpfrontRequest,
    UpfrontStatus,
    UsageReport,
    UsageSource,
)
from .schema.orders import (
    Credential,
    Fulfilment,
    FulfilmentStatus,
    Milestone,
    Order,
    OrderKind,
    OrderLine,
    OrderStatus,
)
from .schema.webhooks import (
    DeliveryStatus,
    EventKind,
    Outcome,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    WebhookStatus,
)
from .schema.access import ApiAnswer, ApiKey, ApiKeyStatus, Login, Purpose, RecoveryCode, Throttle, Token
from .schema.files import AccountImport, Export, ExportStatus, ImportKind, ImportStatus
from .schema.records import LogEntry, Message, MessageStatus

# Tables without `account_id`, each with its reason; the schema test demands one or the other (decision 2).
EXEMPT = {
    "account": "is the tree itself: its own path says where it stands",
    "ab_user": "a person is reached through members of visible accounts only",
    "throttle": "counts tries before anybody is known",
    "login": "belongs to its person",
    "recovery_code": "belongs to its person",
}
