"""Small diffs in eight languages: code that speaks of secrets and holds none, and some that hold one.

Their lines are of the kinds that redaction once took for secrets in the diffs of real repositories.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

DIFFS_PER_LANGUAGE = 25
# Of so many diffs one holds a secret.
WITH_SECRET = 5
SECRET = "9fK2mQ7xT4vB8nL3wR6z"

# File, lines of code, and lines in which `{}` is a secret.
LANGUAGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "python": (
        "app/auth.py",
        """@app.route("/reset-password/<token>", methods=["POST"])
@router.post("/token", response_model=Token)
@celery.task(bind=True, name="mail.password_changed")
@pytest.mark.parametrize("token", [None, "", "expired"])
    SECRET_KEY: str = secrets.token_urlsafe(32)
    password: str | None = Field(default=None, min_length=8, max_length=128)
    token = create_access_token(user.id, expires_delta=timedelta(minutes=30))
    api_key,
    response_type="text",
    password = request.form["password"]
    headers = {"Authorization": f"Bearer {settings.api_token}"}
    raise HTTPException(403, "The password of this account has expired")
    return session.exec(select(User).where(User.reset_token == token)).first()""",
        ('API_TOKEN = "{}"', 'client = Client(api_key="{}")', 'os.environ["DB_PASSWORD"] = "{}"'),
    ),
    "typescript": (
        "src/auth/session.tsx",
        """import { KeyIcon, MapPinIcon, Maximize2Icon, PlusIcon } from "lucide-react";
  '/recover-password': typeof RecoverPasswordRoute
  const { data: session, status } = useSession({ required: true });
  secret: process.env.AUTH_SECRET ?? throwMissing("AUTH_SECRET"),
          icon: <MapPinIcon className="w-4 h-4" />,
            {t("tooltip.select-location")}
  const token = await getToken({ req, secret: env.NEXTAUTH_SECRET });
  const dedupeKey = `${document.id}:${citation.page ?? ""}`;
      <input id="password2" type="password" name="password2" required minLength={8} />
  password: z.string().min(8, "The password is too short"),
        "input-otp": "^1.4.2",
      "access-token-deleted": "Jeton d'accès `{{description}}` supprimé",
  if (!verifyToken(token, publicKeys[header.kid])) return unauthorized();""",
        ('const apiKey = "{}";', '  token: "{}",', "process.env.SESSION_SECRET = '{}';"),
    ),
    "go": (
        "internal/auth/token.go",
        """	Password  string        `long:"password" env:"PASSWORD" description:"SMTP password"`
	StartTLS  bool          `long:"starttls" env:"STARTTLS" description:"enable StartTLS"`
	tkn, err = srv.Authenticator.TokenService().Token(badClaims2)
	if _, err := q.Exec(username, true, password, username+"@shop", "user"); err != nil {
	password = null.String{String: hashed, Valid: true}
	token := os.Getenv("API_TOKEN")
	req.Header.Set("Authorization", "Bearer "+token)
	github.com/go-pkgz/auth v1.24.3-0.20241007090635-78537e6f812d
	cfg.Password = viper.GetString("db.password")
	return nil, fmt.Errorf("token of %s: %w", user, ErrTokenExpired)
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(key)""",
        ('	apiKey := "{}"', '	os.Setenv("API_TOKEN", "{}")', '	cfg.Password = "{}"'),
    ),
    "ruby": (
        "app/models/user.rb",
        """  key = "#{path_prefix}/#{rubygem_name}"
    params.require(:user).permit(:email, :password, :password_confirmation)
  has_secure_password validations: false
  password: <%= ENV["DB_PASSWORD"] %>
      token = SecureRandom.hex(32)
    assert_equal users(:one).api_key, request.headers["X-Api-Key"]
  validates :password, length: { minimum: 12 }, if: :password_required?
    before_action :authenticate_with_token!, except: %i[new create]
      Rails.application.credentials.dig(:stripe, :secret_key)
    flash[:alert] = t("sessions.invalid_password")""",
        ('  API_KEY = "{}"', '    config.secret_key = "{}"', '  password: "{}"'),
    ),
    "rust": (
        "src/auth.rs",
        """    pub encrypted_token: &'a [u8], // corresponds to users.gh_encrypted_token
        gh_encrypted_token -> Nullable<Bytea>,
    let token = headers.get(AUTHORIZATION).ok_or(Error::MissingToken)?;
    pub api_key: Option<String>,
        password: config.password.clone(),
    #[serde(rename = "accessToken", skip_serializing_if = "Option::is_none")]
    fn verify(secret: &SecretString, token: &'static str) -> Result<Claims, TokenError> {
    let hashed = argon2::hash_encoded(password.as_bytes(), &salt, &config)?;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "token must be refused");
#[derive(Debug, Insertable)]""",
        ('    let api_key = "{}";', '    token: "{}".into(),', 'const SECRET: &str = "{}";'),
    ),
    "java": (
        "src/main/java/shop/SecurityConfig.java",
        """    @Value("${spring.datasource.password}") private String password;
    @PreAuthorize("hasAuthority('token:write')")
    @Override public UsernamePasswordAuthenticationToken convert(Jwt jwt) {
        return new UsernamePasswordAuthenticationToken(principal, credentials, authorities);
        this.passwordEncoder = passwordEncoder;
twofactor-auth = 'com.j256.two-factor-auth:two-factor-auth:1.3'
    private static final String TOKEN_HEADER = "X-Auth-Token";
        if (!encoder.matches(request.getPassword(), user.getPasswordHash())) {
        String token = jwtService.generateToken(user.getUsername(), Map.of("role", role));
    Optional<PasswordResetToken> findByTokenAndExpiresAtAfter(String token, Instant now);""",
        ('    private static final String API_KEY = "{}";', "spring.datasource.password={}"),
    ),
    "php": (
        "config/services.php",
        """        'token' => env('POSTMARK_TOKEN'),
        $token = SyncPlugin::SYNCTOKEN_PREFIX.$this->refreshSyncToken($this->backendId())->id;
        'password' => 'required|confirmed|min:8',
        $user->password = Hash::make($request->password);
    #[SensitiveParameter] string $password,
        return $this->belongsTo(PersonalAccessToken::class, 'token_id');
    protected $hidden = ['password', 'remember_token', 'two_factor_secret'];
        abort_unless($request->hasValidSignature(), 403);
    <input type="hidden" name="_token" value="{{ csrf_token() }}">
        $this->assertTrue(Password::broker()->tokenExists($user, $token));""",
        ("        'secret' => '{}',", "define('AUTH_KEY', '{}');", '$apiKey = "{}";'),
    ),
    "yaml": (
        ".github/workflows/deploy.yml",
        """        uses: aws-actions/aws-credentials@d979d5b3a71173a29b74b5b88418bfda9437d885 # v6.1.1
          STRIPE_SECRET_KEY: ${{ secrets.STRIPE_SECRET_KEY }}
      POSTGRES_PASSWORD: ${DB_PASSWORD}
          token: ${{ steps.app.outputs.token }}
    image: ghcr.io/acme/token-service@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  secretName: shop-production-tls-2
        key: node-${{ hashFiles('package-lock.json') }}
    - **Client Secret**: Client Secret copied from the console
  --shiki-token-string: #0e7226;
      id-token: write""",
        ("      API_TOKEN: {}", '  password: "{}"', "        run: deploy --token {}"),
    ),
}


class Diff(NamedTuple):
    """A diff, and what it must be redacted to."""

    name: str
    text: str
    expected: str


def diffs() -> Iterator[Diff]:
    """Yield so many diffs of each language, the same ones each time."""
    chance = random.Random(11)  # noqa: S311 - which lines stand together
    for language, (path, code, secrets) in LANGUAGES.items():
        lines = code.split("\n")
        for number in range(DIFFS_PER_LANGUAGE):
            first = number % len(lines)
            chosen = [lines[first], *chance.sample(lines, 3)]
            signed = [f"{chance.choice('+- ')}{line}" for line in chosen]
            if number % WITH_SECRET == 0:
                signed.insert(chance.randrange(4), f"+{chance.choice(secrets).format(SECRET)}")
            before, after = chance.randbytes(5).hex(), chance.randbytes(5).hex()
            head = (
                f"diff --git a/{path} b/{path}\nindex {before}..{after} 100644\n--- a/{path}\n+++ b/{path}\n"
            )
            text = f"{head}@@ -{number + 8},4 +{number + 8},5 @@ {lines[0].strip()}\n" + "\n".join(signed)
            yield Diff(f"{language} {number}", text, text.replace(SECRET, "<secret>"))
